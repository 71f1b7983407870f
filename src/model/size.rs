//! Sizes, as short as people want them.

/// A size for people: `512 B`, `1.5 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a size for people needs three digits")]
    let many = bytes as f64;
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", many / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", many / 1_048_576.0),
        _ => format!("{:.1} GiB", many / 1_073_741_824.0),
    }
}
