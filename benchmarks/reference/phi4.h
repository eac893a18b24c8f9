/* phi^4: S = sum_x [ (4 + m^2) phi^2 + lambda phi^4 - 2 phi (phi_right + phi_up) ]; parameters m^2, lambda */
enum { COMPONENTS = 1 };
static const double START = 0.3;

/* p -= eps * dS/dphi */
static void kick(double *restrict p, const double *restrict x, int L, const double *parameters, double eps) {
    const double m2 = parameters[0], lambda = parameters[1];
    const double a = 2 * (4 + m2) * eps, b = 4 * lambda * eps, c = 2 * eps;
    for (int i = 0; i < L; i++) {
        const double *row = x + i * L, *down = x + (i ? i - 1 : L - 1) * L, *up = x + (i < L - 1 ? i + 1 : 0) * L;
        double *q = p + i * L;
        q[0] -= row[0] * (a + b * row[0] * row[0]) - c * (up[0] + down[0] + row[1] + row[L - 1]);
        for (int j = 1; j < L - 1; j++)
            q[j] -= row[j] * (a + b * row[j] * row[j]) - c * (up[j] + down[j] + row[j + 1] + row[j - 1]);
        q[L - 1] -= row[L - 1] * (a + b * row[L - 1] * row[L - 1]) - c * (up[L - 1] + down[L - 1] + row[0] + row[L - 2]);
    }
}

static double energy(const double *restrict p, const double *restrict x, int L, const double *parameters) {
    const double m2 = parameters[0], lambda = parameters[1];
    double sum = 0;
    for (int i = 0; i < L; i++) {
        const double *row = x + i * L, *up = x + (i < L - 1 ? i + 1 : 0) * L, *q = p + i * L;
        for (int j = 0; j < L - 1; j++) {
            double y = row[j] * row[j];
            sum += 0.5 * q[j] * q[j] + (4 + m2) * y + lambda * y * y - 2 * row[j] * (up[j] + row[j + 1]);
        }
        double y = row[L - 1] * row[L - 1];
        sum += 0.5 * q[L - 1] * q[L - 1] + (4 + m2) * y + lambda * y * y - 2 * row[L - 1] * (up[L - 1] + row[0]);
    }
    return sum;
}
