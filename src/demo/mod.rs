//! What `portoser demo` stands on: a host that is an SSH server inside this process with a sandbox for a disk, and the tiny
//! HTTP program that its services run. It knows nothing of deploying: the demo uses the same road as every host.

pub mod service;
