//! Mitsubishi SLMP (MC protocol, 3E and 4E frames): devices in batches, writes.
