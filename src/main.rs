//! The `guideway` binary: reads the command line and does as it says.

use std::process::ExitCode;

fn main() -> ExitCode {
    guideway::cli::main()
}
