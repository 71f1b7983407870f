use libtest_mimic::Trial;
pub fn trials(_shell: &'static str) -> Vec<Trial> {
    Vec::new()
}
