//! Guideway: the gateway between machines and their digital twins.
//!
//! One device model, one journal, many faces. The modules are floors: each may use those above it
//! in this list and never those below (a test in `tests/tidy.rs` holds them to it). Faces never use
//! each other.

pub mod device_model;
pub mod pipeline;

pub mod journal;

pub mod control;

pub mod documents;

pub mod northbound;

pub mod reading;

pub mod protocols;

pub mod profile;

pub mod config;
pub mod telemetry;

pub mod adapters;
pub mod agent;
pub mod coverage;
pub mod verify;

pub mod cli;
