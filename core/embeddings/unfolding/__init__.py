"""Maximum variance unfolding: the problem, its solvers and the certificate of the optimum."""
