//! Modbus TCP and RTU: codec, shared buses, batched reads, writes.
