"""Networks, and how a network becomes a pure function of one flat parameter vector."""
