//! Controllers: python-snap7, the real Snap7, and a scripted one.

mod peers;
mod points;
mod profile;
mod trials;
