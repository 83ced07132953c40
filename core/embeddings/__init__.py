"""Maps of banners: features (n, d) in, places (n, 2 or 3) out, by principal components or maximum variance unfolding.

Both have `fit`, `transform` for rows not seen before, `align` to an earlier map, `state` and `from_state`. Arrays in, arrays out.
"""

from core.embeddings.alignment import Alignment, fit_alignment
from core.embeddings.base import Embedding
from core.embeddings.certificate import Certificate
from core.embeddings.clusters import cluster
from core.embeddings.mvu import MVU, Placement
from core.embeddings.pca import PCA

__all__ = ["MVU", "PCA", "Alignment", "Certificate", "Embedding", "Placement", "cluster", "fit_alignment"]
