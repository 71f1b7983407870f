//! The operator's program. Everything is in the library.

fn main() -> std::process::ExitCode {
    portoser::cli::main()
}
