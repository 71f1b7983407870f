//! The far end: what a host is, how our files lie on its disk, and the run script with its wire format.
//! Nothing here talks to a host; it makes text for one and reads what one said.

pub mod run;
