//! The real run script, as an ordinary process in a temporary folder, under several shells.

mod arrived;
mod desk;
mod guest;
mod kill;
mod lab;
mod left;
mod lock;
mod process;
mod road;
mod wild;

use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let mut trials = lab::trials();
    for shell in desk::SHELLS {
        trials.extend(arrived::trials(shell));
        trials.extend(road::trials(shell));
        trials.extend(kill::trials(shell));
        trials.extend(wild::trials(shell));
        trials.extend(lock::trials(shell));
        trials.extend(guest::trials(shell));
        trials.extend(process::trials(shell));
        trials.extend(left::trials(shell));
    }
    trials
}
