/* U(1): S = beta sum_x [ 1 - cos P(x) ], P(x) = theta_0(x) + theta_1(x + 0) - theta_0(x + 1) - theta_1(x), angles of
 * direction 0 (down the rows) before those of direction 1 (along them); parameters beta, unused. Sine and cosine are
 * those of the vector library where the compiler may use it (-ffast-math). */
enum { COMPONENTS = 2 };
static const double START = 3.0;

static inline void angles(double *restrict plaquette, const double *restrict x, int L) {
    const double *u = x, *v = x + L * L;
    for (int i = 0; i < L; i++) {
        const double *row = u + i * L, *here = v + i * L, *up = v + (i < L - 1 ? i + 1 : 0) * L;
        double *p = plaquette + i * L;
        for (int j = 0; j < L - 1; j++) p[j] = row[j] + up[j] - row[j + 1] - here[j];
        p[L - 1] = row[L - 1] + up[L - 1] - row[0] - here[L - 1];
    }
}

/* p -= eps * dS/dtheta */
static void kick(double *restrict p, const double *restrict x, int L, const double *parameters, double eps) {
    double s[L * L];
    const double factor = eps * parameters[0];
    angles(s, x, L);
    for (int i = 0; i < L * L; i++) s[i] = factor * sin(s[i]);
    for (int i = 0; i < L; i++) {
        const double *row = s + i * L, *down = s + (i ? i - 1 : L - 1) * L;
        double *q = p + i * L, *r = p + L * L + i * L;
        q[0] -= row[0] - row[L - 1];
        for (int j = 1; j < L; j++) q[j] -= row[j] - row[j - 1];
        for (int j = 0; j < L; j++) r[j] -= down[j] - row[j];
    }
}

static double energy(const double *restrict p, const double *restrict x, int L, const double *parameters) {
    double s[L * L], sum = 0, kinetic = 0;
    angles(s, x, L);
    for (int i = 0; i < L * L; i++) sum += 1 - cos(s[i]);
    for (int i = 0; i < 2 * L * L; i++) kinetic += p[i] * p[i];
    return parameters[0] * sum + 0.5 * kinetic;
}
