//! How far away a time is, in the unit that people would say. The browser's `Intl` finds the words. Pure.

/// A distance in time as a number of the largest unit that it fills, rounded towards now.
pub(crate) fn distance(ms: f64) -> (i32, &'static str) {
    const UNITS: &[(f64, &str)] = &[
        (31_557_600_000.0, "year"),
        (2_629_800_000.0, "month"),
        (86_400_000.0, "day"),
        (3_600_000.0, "hour"),
        (60_000.0, "minute"),
    ];
    let filled = UNITS.iter().find(|(length, _)| ms.abs() >= *length);
    let (length, unit) = filled.copied().unwrap_or((1_000.0, "second"));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a saturating cast towards zero is what is meant"
    )]
    let value = (ms / length) as i32;
    (value, unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_told_in_the_largest_unit_it_fills() {
        assert_eq!(distance(-59_999.0), (-59, "second"));
        assert_eq!(distance(-60_000.0), (-1, "minute"));
        assert_eq!(distance(-86_399_999.0), (-23, "hour"));
        assert_eq!(distance(-3.5 * 86_400_000.0), (-3, "day"));
        assert_eq!(distance(45.0 * 86_400_000.0), (1, "month"));
        assert_eq!(distance(-800.0 * 86_400_000.0), (-2, "year"));
        assert_eq!(distance(0.0), (0, "second"));
    }
}
