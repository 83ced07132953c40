"""Maps of banners: features (n, d) in, places (n, 2 or 3) out, by principal components or maximum variance unfolding.

Both have `fit`, `transform` for rows not seen before, `align` to an earlier map, `state` and `from_state`. Arrays in, arrays out.
"""
