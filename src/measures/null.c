/* The null of measures that are inner products of two n×n matrices, in closed form. */
#include <math.h>

#include "measures/measures.h"

csim__form csim__form_of_centred(double n, double trace, double diagonal, double rest)
{
    double t = trace / n;
    return (csim__form){.diagonal = t,
                        .other = -t / (n - 1),
                        .of_diagonal = diagonal,
                        .of_rows = diagonal / ((n - 2) * (n - 2)),
                        .of_both = -diagonal / (n - 2),
                        .rest = rest};
}

csim__form csim__form_of_site(const csim__site *s)
{
    double n = (double)s->n;
    return csim__form_of_centred(n, s->variance,
                                 fmax(s->square_of_norms - s->variance * s->variance / n, 0),
                                 s->self_hollow);
}

double csim__form_square(const csim__form *a, double n)
{
    return n * a->diagonal * a->diagonal + n * (n - 1) * a->other * a->other + a->of_diagonal +
           2 * (n - 2) * a->of_rows + fmax(a->rest, 0);
}

/* ⟨A, PBPᵀ⟩ = n·tt' + n(n−1)·mm' + ⟨δ,πδ'⟩ + 2(n−2)⟨g,πg'⟩ + ⟨Â,PB̂Pᵀ⟩. The first two are the mean; of
 * the others, which have mean 0, the last does not correlate with those of vectors, being of another
 * irreducible part of the symmetric group. Centred vectors have E[⟨u,πv⟩⟨w,πz⟩] = ⟨u,w⟩⟨v,z⟩/(n−1),
 * n−1 being the dimension of their part; that of Â has n(n−3)/2. Nothing cancels. */
csim_moments csim__null_moments(const csim__form *a, const csim__form *b, double n, double scale,
                                double value)
{
    double mean = n * a->diagonal * b->diagonal + n * (n - 1) * a->other * b->other;
    double vectors = a->of_diagonal * b->of_diagonal +
                     4 * (n - 2) * (n - 2) * a->of_rows * b->of_rows +
                     4 * (n - 2) * a->of_both * b->of_both;
    double variance = vectors / (n - 1) + 2 * fmax(a->rest, 0) * fmax(b->rest, 0) / (n * (n - 3));
    double size = sqrt(csim__form_square(a, n)) * sqrt(csim__form_square(b, n));
    double sd = sqrt(fmax(variance, 0));
    return (csim_moments){.mean = scale * mean,
                          .sd = scale * sd,
                          .z = sd > 1e-12 * size ? (value - scale * mean) / (scale * sd) : NAN};
}

csim_moments csim__null_of_cosine(const csim__form *a, const csim__form *b, double n, double value)
{
    double size = sqrt(csim__form_square(a, n)) * sqrt(csim__form_square(b, n));
    return csim__null_moments(a, b, n, 1 / size, value);
}

csim_moments csim__null_of_hollow(double n, double value)
{
    double sd = sqrt(2 / (n * (n - 3)));
    return (csim_moments){.mean = 0, .sd = sd, .z = value / sd};
}
