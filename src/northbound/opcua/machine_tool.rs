//! The machine-tool view (OPC 40501-1): machines in the terms of DI, Machinery and MachineTool, where
//! those node sets are there.
