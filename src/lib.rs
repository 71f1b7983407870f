//! portoser deploys services over plain SSH as transactions, proves that they are healthy, and keeps them healthy.
//!
//! The rooms below are ordered by floor; a room imports from lower floors only (`docs/ARCHITECTURE.md`, held by the
//! tidy test).

pub mod model;

pub mod host;
pub mod registry;

pub mod plan;

pub mod check;
pub mod engine;

pub mod journal;
pub mod secrets;
pub mod transport;

pub mod deploy;

pub mod heal;

pub mod app;
pub mod demo;

pub mod cli;
