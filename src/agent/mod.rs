//! Wiring, supervision and shutdown.
