//! The one test binary. Each module gives its trials; a trial that cannot run here is reported as ignored, with the reason.

use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = Vec::new();
    libtest_mimic::run(&arguments, trials).exit();
}
