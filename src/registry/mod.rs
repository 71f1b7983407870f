//! Text to Registry: as written, as checked. All faults are reported at once, each with its place and a hint.
//! Nothing that is in a `Registry` needs checking again. Edits keep comments, order and formatting.

mod checked;

pub use checked::*;
