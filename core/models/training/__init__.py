"""How the networks that are shipped are trained: one loop, one file a network, banners to train on."""
