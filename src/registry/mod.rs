//! Text to Registry: as written, as checked. All faults are reported at once, each with its place and a hint.
//! Nothing that is in a `Registry` needs checking again. Edits keep comments, order and formatting.

mod checked;
mod draft;
mod fault;
mod load;
mod number;
mod read;
mod settle;
mod text;
mod tree;
mod units;

pub use checked::*;
pub use fault::{Fault, Faults, Place};
pub use load::{format, load, load_all, load_text};
pub use settle::{BadVariable, expand};
pub use tree::Format;
pub use units::{BadUnit, parse_duration, parse_size, write_duration, write_size};
