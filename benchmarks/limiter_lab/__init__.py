"""Limiters side by side, in virtual time, against the simulator's quota model."""
