//! SHDR as pure functions of bytes: lines, fields, times, values, assets, commands.
//!
//! [`Lines`] cuts what was read into lines, [`Decoder`] turns a line into readings. Neither knows a
//! socket. What is wrong with a line is told to [`Faults`] and never ends anything.

mod asset;
mod command;
mod dataset;
mod decoder;
mod fields;
mod keys;
mod lines;
mod time;
mod value;

pub use dataset::{data_set, table};
pub use decoder::{Decoder, Event, Faults, Settings, Tally};
pub use fields::Fields;
pub use lines::{Line, Lines};
pub use time::Times;
pub use value::number;
