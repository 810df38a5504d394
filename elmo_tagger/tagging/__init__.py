"""Engine 2, tags: schemes (tags <-> spans), the CRF, scores."""
