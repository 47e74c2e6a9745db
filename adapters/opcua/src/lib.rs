//! An OPC UA client: subscriptions, browse paths, security, writes, method calls.
