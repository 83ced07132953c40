"""Networks of the detectors that train in `fit`, parametrised by the images' channels and side. Imported only there: they bring torch."""
