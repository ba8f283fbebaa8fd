/* A product by libxsmm, for xsmm.py: y = x @ w, of row-major matrices. */

#include <libxsmm.h>

/* Do it so many times, on one thread; return whether libxsmm has machine code for these sizes. */
int repeat_product(long times, int m, int k, int n, const float *x, const float *w, float *y)
{
    const int flags = LIBXSMM_GEMM_FLAG_NONE;
    const float alpha = 1, beta = 0;

    /* libxsmm's matrices are column-major. To it ours are transposed: y.T = w.T @ x.T. */
    const libxsmm_smmfunction product =
        libxsmm_smmdispatch(n, m, k, &n, &k, &n, &alpha, &beta, &flags, NULL);
    if (product == NULL)
        return 0;
    for (long i = 0; i < times; i++)
        product(w, x, y);
    return 1;
}
