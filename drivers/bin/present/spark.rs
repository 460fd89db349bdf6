//! A curve in one line of text: eight heights of a block, one character for each piece of time.

/// How many characters a curve has: it fits beside its label in a terminal of 80 columns.
pub const COLUMNS: usize = 56;

const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Draws `values` between zero and `top`; what is below zero stands at the bottom, what is unknown stays empty.
pub fn spark(values: &[Option<f64>], top: f64) -> String {
    let height = |value: &Option<f64>| match value {
        Some(value) if top > 0.0 => {
            let eighths = (value / top * HEIGHTS.len() as f64).clamp(0.0, (HEIGHTS.len() - 1) as f64);
            HEIGHTS[eighths as usize]
        }
        Some(_) => HEIGHTS[0],
        None => ' ',
    };
    values.iter().map(height).collect()
}

/// The highest value of each of at most `columns` equal pieces: a peak must not vanish in a mean.
pub fn highest(values: &[f64], columns: usize) -> Vec<Option<f64>> {
    let columns = columns.min(values.len());
    let piece = |column: usize| {
        let (from, to) = (values.len() * column / columns, values.len() * (column + 1) / columns);
        values[from..to].iter().copied().reduce(|a, b| if a > b { a } else { b })
    };
    (0..columns).map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_spans_from_zero_to_its_top() {
        let values = [Some(-5.0), Some(0.0), Some(50.0), Some(99.0), Some(100.0), None];
        assert_eq!(spark(&values, 100.0), "▁▁▅██ ");
        assert_eq!(spark(&[Some(0.0)], 0.0), "▁");
    }

    #[test]
    fn a_column_shows_its_highest_value() {
        assert_eq!(highest(&[1.0, 3.0, 2.0, 0.0], 2), [Some(3.0), Some(2.0)]);
        assert_eq!(highest(&[1.0], 2), [Some(1.0)]);
    }
}
