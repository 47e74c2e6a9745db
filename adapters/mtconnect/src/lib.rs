//! Follows another MTConnect agent over HTTP: its device model, observations and assets.
