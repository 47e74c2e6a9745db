//! Text over serial lines or TCP: lines and frames, fields, patterns; DPRNT, gauges, scales, readers.
