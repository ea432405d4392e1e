# It has no face: other kernels call it.
