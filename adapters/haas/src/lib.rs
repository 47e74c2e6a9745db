//! Haas machine data collection: Q commands over TCP and serial lines, macro variables.
