//! Days and dates of the Gregorian calendar, each from the other.
//!
//! The calendar repeats after an era of 400 years. Inside an era years are counted from the first of March, so that a leap
//! day is the last of its year and the lengths of the months before it follow one formula. Source: H. Hinnant,
//! "chrono-compatible low-level date algorithms", 2021. Nothing here knows of hours or of offsets.

/// Days of a month of the Gregorian calendar.
pub(super) const fn month_length(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days in the 400 years after which the calendar repeats.
const ERA_DAYS: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

/// Days since 1970-01-01 of a date; years begin in March, so that a leap day is the last of its year.
pub(super) const fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - EPOCH_DAYS
}

/// Year, month and day of a number of days since 1970-01-01.
pub(super) const fn date_of(days: i64) -> (i64, i64, i64) {
    let era = (days + EPOCH_DAYS).div_euclid(ERA_DAYS);
    let day_of_era = (days + EPOCH_DAYS).rem_euclid(ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use super::super::YEAR_MAX;
    use super::*;

    #[test]
    fn every_day_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..days_of(i64::from(YEAR_MAX) + 1, 1, 1) {
            let date = (i64::from(year), i64::from(month), i64::from(day));
            assert_eq!((date_of(days), days_of(date.0, date.1, date.2)), (date, days));
            day += 1;
            if day > month_length(year, month) {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}
