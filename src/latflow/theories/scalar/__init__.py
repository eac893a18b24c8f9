"""What all theories of one real number at every site share: observables, estimates, words, vacua.

No theory of its own: the rooms of φ⁴, the free field and sine-Gordon theory are built from it.
"""
