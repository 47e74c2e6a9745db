//! Beckhoff ADS: symbols, sum reads, notifications, writes.
