//! The operator's program. Everything is in the library.

/// A registry is many small texts; this allocator hands them out in half the time of the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    portoser::cli::main()
}
