//! The functions of a number that hardware and C libraries disagree about, from one library for every CPU.
//!
//! Nothing else in the workspace may call `libm`, and nothing that decides may call the standard library's versions: its
//! `exp`, `ln` and `sin` differ in the last bit from these for several in a hundred arguments and between platforms, and
//! one last bit is enough for a run to take another course. `libm` may change results in a patch release, so it is pinned
//! and its results are pinned too: the tests compare bits. A table that no longer matches means that every recorded log
//! would diverge; it is a new engine version, not a table to regenerate.
//!
//! What IEEE 754 fixes needs no place here: `+ - * /`, `abs`, comparisons and conversions are the same everywhere.
//!
//! A function outside its domain gives NaN or an infinity, and neither may enter a quantity: callers stay inside it.

/// The exponential function; 0 below -745.14, infinite above 709.78.
#[inline]
pub fn exp(exponent: f64) -> f64 {
    libm::exp(exponent)
}

/// The natural logarithm of a positive number; of 0 it is negative infinity.
#[inline]
pub fn ln(number: f64) -> f64 {
    libm::log(number)
}

/// The sine of an angle in radians.
#[inline]
pub fn sin(angle: f64) -> f64 {
    libm::sin(angle)
}

/// The cosine of an angle in radians.
#[inline]
pub fn cos(angle: f64) -> f64 {
    libm::cos(angle)
}

/// The square root of a number that is not negative, correctly rounded.
#[inline]
pub fn sqrt(number: f64) -> f64 {
    libm::sqrt(number)
}

/// `base` to the power of `exponent`; a negative base needs a whole exponent.
#[inline]
pub fn pow(base: f64, exponent: f64) -> f64 {
    libm::pow(base, exponent)
}

/// The largest whole number that is not above `number`.
#[inline]
pub fn floor(number: f64) -> f64 {
    libm::floor(number)
}

/// The smallest whole number that is not below `number`.
#[inline]
pub fn ceil(number: f64) -> f64 {
    libm::ceil(number)
}

/// The nearest whole number; halves go away from zero, so that 2.5 becomes 3 and -2.5 becomes -3.
#[inline]
pub fn round(number: f64) -> f64 {
    libm::round(number)
}

/// The smaller of two numbers; of two zeros the first, on every CPU.
#[inline]
pub const fn at_most(number: f64, other: f64) -> f64 {
    if other < number { other } else { number }
}

/// The larger of two numbers; of two zeros the first, on every CPU.
#[inline]
pub const fn at_least(number: f64, other: f64) -> f64 {
    if other > number { other } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares `function` with a table of argument bits and result bits, made once with libm 0.2.16.
    ///
    /// The results were checked apart from it: against 600 decimal digits they are within 0.68 of the last place.
    fn assert_bits(name: &str, function: fn(f64) -> f64, table: &[(u64, u64)]) {
        for (argument, expected) in table {
            let argument = f64::from_bits(*argument);
            let (found, expected) = (function(argument), f64::from_bits(*expected));
            assert_eq!(
                found.to_bits(),
                expected.to_bits(),
                "{name}({argument:e}) = {found:e}, pinned {expected:e}"
            );
        }
    }

    #[test]
    fn every_function_gives_the_pinned_bits() {
        assert_bits("exp", exp, EXP);
        assert_bits("ln", ln, LN);
        assert_bits("sin", sin, SIN);
        assert_bits("cos", cos, COS);
        assert_bits("sqrt", sqrt, SQRT);
        assert_bits("floor", floor, FLOOR);
        assert_bits("ceil", ceil, CEIL);
        assert_bits("round", round, ROUND);
    }

    #[test]
    fn powers_give_the_pinned_bits() {
        for (base, exponent, expected) in POW {
            let (base, exponent) = (f64::from_bits(*base), f64::from_bits(*exponent));
            let (found, expected) = (pow(base, exponent), f64::from_bits(*expected));
            assert_eq!(found.to_bits(), expected.to_bits(), "pow({base:e}, {exponent:e}) = {found:e}");
        }
    }

    #[test]
    fn halves_are_rounded_away_from_zero() {
        let rounded = [2.5, -2.5, 0.5, -0.5, 0.499_999_999_999_999_94].map(round);
        assert_eq!(rounded, [3.0, -3.0, 1.0, -1.0, 0.0]);
    }

    const EXP: &[(u64, u64)] = &[
        (0x0000_0000_0000_0000, 0x3ff0_0000_0000_0000),
        (0x3ff0_0000_0000_0000, 0x4005_bf0a_8b14_576a),
        (0xbff0_0000_0000_0000, 0x3fd7_8b56_362c_ef38),
        (0x3fe0_0000_0000_0000, 0x3ffa_6129_8e1e_069c),
        (0xbfe0_0000_0000_0000, 0x3fe3_68b2_fc6f_960a),
        (0x3e11_2e0b_e826_d695, 0x3ff0_0000_0044_b830),
        (0xbe11_2e0b_e826_d695, 0x3fef_ffff_ff76_8fa1),
        (0x3fb9_9999_9999_999a, 0x3ff1_aec7_b35a_00d4),
        (0xbfb9_9999_9999_999a, 0x3fec_f46d_99d5_2b3a),
        (0x4002_6bb1_bbb5_5516, 0x4024_0000_0000_0001),
        (0x4024_0000_0000_0000, 0x40d5_829d_cf95_0560),
        (0xc024_0000_0000_0000, 0x3f07_cd79_b564_7c9a),
        (0x4040_a666_6666_6666, 0x42f0_7840_1f5a_3ec8),
        (0xc042_5999_9999_999a, 0x3ca0_998b_04bd_d190),
        (0x4059_0000_0000_0000, 0x48f3_494a_9b17_1bf5),
        (0xc059_0000_0000_0000, 0x36ea_8c1f_14e2_af5d),
        (0x4085_e000_0000_0000, 0x7f0d_945d_f4f8_ec8e),
        (0x4086_2e42_fefa_39ef, 0x7fef_ffff_ffff_ff2a),
        (0xc086_2333_3333_3333, 0x000f_f15b_469e_df89),
        (0xc087_4800_0000_0000, 0x0000_0000_0000_0001),
        (0xc087_4999_9999_999a, 0x0000_0000_0000_0000),
        (0x4086_2e51_eb85_1eb8, 0x7ff0_0000_0000_0000),
    ];

    const LN: &[(u64, u64)] = &[
        (0x3ff0_0000_0000_0000, 0x0000_0000_0000_0000),
        (0x4000_0000_0000_0000, 0x3fe6_2e42_fefa_39ef),
        (0x4024_0000_0000_0000, 0x4002_6bb1_bbb5_5516),
        (0x3fe0_0000_0000_0000, 0xbfe6_2e42_fefa_39ef),
        (0x3fb9_9999_9999_999a, 0xc002_6bb1_bbb5_5515),
        (0x3e11_2e0b_e826_d695, 0xc034_b927_f32b_ffb8),
        (0x3fef_fffd_e721_0be9, 0xbeb0_c6f8_2d74_d230),
        (0x3ff0_0001_0c6f_7a0b, 0x3eb0_c6f7_13f3_3a1d),
        (0x4005_bf0a_8b14_5769, 0x3ff0_0000_0000_0000),
        (0x400d_9999_9999_999a, 0x3ff4_eeee_650a_e550),
        (0x405e_dd2f_1a9f_be77, 0x4013_4377_4f3e_2362),
        (0x412e_8480_0000_0000, 0x402b_a18a_998f_ffa0),
        (0x430c_6bf5_2634_0000, 0x4041_44f6_9ff9_ffc4),
        (0x7e37_e43c_8800_759c, 0x4085_9634_47f8_7fb5),
        (0x01a5_6e1f_c2f8_f359, 0xc085_9634_47f8_7fb5),
        (0x0000_0000_0000_0001, 0xc087_4385_446d_71c3),
        (0x0010_0000_0000_0000, 0xc086_232b_dd7a_bcd2),
        (0x7fef_ffff_ffff_ffff, 0x4086_2e42_fefa_39ef),
        (0x0000_0000_0000_0000, 0xfff0_0000_0000_0000),
        (0x3ca0_0000_0000_0000, 0xc042_5e4f_7b27_37fa),
        (0x3fe6_a09e_667f_3bcd, 0xbfd6_2e42_fefa_39ee),
    ];

    const SIN: &[(u64, u64)] = &[
        (0x0000_0000_0000_0000, 0x0000_0000_0000_0000),
        (0x3e11_2e0b_e826_d695, 0x3e11_2e0b_e826_d695),
        (0x3fb9_9999_9999_999a, 0x3fb9_8eae_cb8b_cb2c),
        (0xbfb9_9999_9999_999a, 0xbfb9_8eae_cb8b_cb2c),
        (0x3fe0_0000_0000_0000, 0x3fde_aee8_744b_05f0),
        (0xbfe0_0000_0000_0000, 0xbfde_aee8_744b_05f0),
        (0x3fe9_21fb_5444_2d18, 0x3fe6_a09e_667f_3bcc),
        (0x3ff0_0000_0000_0000, 0x3fea_ed54_8f09_0cee),
        (0xbff0_0000_0000_0000, 0xbfea_ed54_8f09_0cee),
        (0x3ff9_21fb_5444_2d18, 0x3ff0_0000_0000_0000),
        (0x4000_0000_0000_0000, 0x3fed_18f6_ead1_b446),
        (0x4002_d97c_7f33_21d2, 0x3fe6_a09e_667f_3bcd),
        (0x4008_0000_0000_0000, 0x3fc2_1038_6db6_d55b),
        (0x4009_21fb_5444_2d18, 0x3ca1_a626_3314_5c07),
        (0xc009_21fb_5444_2d18, 0xbca1_a626_3314_5c07),
        (0x4012_d97c_7f33_21d2, 0xbff0_0000_0000_0000),
        (0x4019_21fb_5444_2d18, 0xbcb1_a626_3314_5c07),
        (0x4024_0000_0000_0000, 0xbfe1_689e_f5f3_4f52),
        (0x4059_0000_0000_0000, 0xbfe0_3425_b78c_4db8),
        (0xc08f_4400_0000_0000, 0xbfef_d948_c50a_7a0d),
        (0x412e_8480_0000_0000, 0xbfd6_664b_2568_d867),
        (0x430c_6bf5_2634_0000, 0x3feb_76f8_8136_ceba),
        (0x4480_f0cf_064d_d592, 0xbfeb_453a_b76b_f397),
        (0x4073_a28c_59d5_433b, 0x3ce1_b191_40c0_c0d5),
    ];

    const COS: &[(u64, u64)] = &[
        (0x0000_0000_0000_0000, 0x3ff0_0000_0000_0000),
        (0x3e11_2e0b_e826_d695, 0x3ff0_0000_0000_0000),
        (0x3fb9_9999_9999_999a, 0x3fef_d712_f9a8_17c1),
        (0xbfb9_9999_9999_999a, 0x3fef_d712_f9a8_17c1),
        (0x3fe0_0000_0000_0000, 0x3fec_1528_065b_7d50),
        (0xbfe0_0000_0000_0000, 0x3fec_1528_065b_7d50),
        (0x3fe9_21fb_5444_2d18, 0x3fe6_a09e_667f_3bcd),
        (0x3ff0_0000_0000_0000, 0x3fe1_4a28_0fb5_068c),
        (0xbff0_0000_0000_0000, 0x3fe1_4a28_0fb5_068c),
        (0x3ff9_21fb_5444_2d18, 0x3c91_a626_3314_5c07),
        (0x4000_0000_0000_0000, 0xbfda_a226_5753_7205),
        (0x4002_d97c_7f33_21d2, 0xbfe6_a09e_667f_3bcc),
        (0x4008_0000_0000_0000, 0xbfef_ae04_be85_e5d2),
        (0x4009_21fb_5444_2d18, 0xbff0_0000_0000_0000),
        (0xc009_21fb_5444_2d18, 0xbff0_0000_0000_0000),
        (0x4012_d97c_7f33_21d2, 0xbcaa_7939_4c9e_8a0a),
        (0x4019_21fb_5444_2d18, 0x3ff0_0000_0000_0000),
        (0x4024_0000_0000_0000, 0xbfea_d9ac_890c_6b1f),
        (0x4059_0000_0000_0000, 0x3feb_981d_bf66_5fdf),
        (0xc08f_4400_0000_0000, 0x3fb8_dbff_75eb_664f),
        (0x412e_8480_0000_0000, 0x3fed_f9df_9906_d32c),
        (0x430c_6bf5_2634_0000, 0xbfe0_6c15_4609_d33e),
        (0x4480_f0cf_064d_d592, 0x3fe0_be2c_ef01_c8f4),
        (0x4073_a28c_59d5_433b, 0x3ff0_0000_0000_0000),
    ];

    const SQRT: &[(u64, u64)] = &[
        (0x0000_0000_0000_0000, 0x0000_0000_0000_0000),
        (0x3ff0_0000_0000_0000, 0x3ff0_0000_0000_0000),
        (0x4000_0000_0000_0000, 0x3ff6_a09e_667f_3bcd),
        (0x4008_0000_0000_0000, 0x3ffb_b67a_e858_4caa),
        (0x3fe0_0000_0000_0000, 0x3fe6_a09e_667f_3bcd),
        (0x3fb9_9999_9999_999a, 0x3fd4_3d13_6248_490f),
        (0x3e11_2e0b_e826_d695, 0x3f00_9456_549b_e1bd),
        (0x4010_0000_0000_0000, 0x4000_0000_0000_0000),
        (0x4024_0000_0000_0000, 0x4009_4c58_3ada_5b53),
        (0x405e_dd2f_1a9f_be77, 0x4026_38de_e52c_80ed),
        (0x412e_8480_0000_0000, 0x408f_4000_0000_0000),
        (0x430c_6bf5_2634_0000, 0x417e_2867_89a0_7f2f),
        (0x7e37_e43c_8800_759c, 0x5f13_8d35_2e50_96af),
        (0x01a5_6e1f_c2f8_f359, 0x20ca_2fe7_6a3f_9475),
        (0x0000_0000_0000_0001, 0x1e60_0000_0000_0000),
        (0x0010_0000_0000_0000, 0x2000_0000_0000_0000),
        (0x7fef_ffff_ffff_ffff, 0x5fef_ffff_ffff_ffff),
        (0x3fef_ffff_ffff_ffff, 0x3fef_ffff_ffff_ffff),
        (0x3ff0_0000_0000_0001, 0x3ff0_0000_0000_0000),
        (0x406c_de15_5cb1_4fdd, 0x402e_64b7_a8e8_4b06),
    ];

    const FLOOR: &[(u64, u64)] = &[
        (0x0000_0000_0000_0000, 0x0000_0000_0000_0000),
        (0x8000_0000_0000_0000, 0x8000_0000_0000_0000),
        (0x3fdf_ffff_ffff_ffff, 0x0000_0000_0000_0000),
        (0xbfdf_ffff_ffff_ffff, 0xbff0_0000_0000_0000),
        (0x3fe0_0000_0000_0000, 0x0000_0000_0000_0000),
        (0xbfe0_0000_0000_0000, 0xbff0_0000_0000_0000),
        (0x3ff0_0000_0000_0000, 0x3ff0_0000_0000_0000),
        (0xbff0_0000_0000_0000, 0xbff0_0000_0000_0000),
        (0x3ff7_ffff_ffff_ffff, 0x3ff0_0000_0000_0000),
        (0x3ff8_0000_0000_0000, 0x3ff0_0000_0000_0000),
        (0xbff8_0000_0000_0000, 0xc000_0000_0000_0000),
        (0x4004_0000_0000_0000, 0x4000_0000_0000_0000),
        (0xc004_0000_0000_0000, 0xc008_0000_0000_0000),
        (0x400d_9999_9999_999a, 0x4008_0000_0000_0000),
        (0xc00d_9999_9999_999a, 0xc010_0000_0000_0000),
        (0x40fe_240c_9fbe_76c9, 0x40fe_2400_0000_0000),
        (0xc0fe_240c_9fbe_76c9, 0xc0fe_2410_0000_0000),
        (0x432f_ffff_ffff_ffff, 0x432f_ffff_ffff_fffe),
        (0xc32f_ffff_ffff_ffff, 0xc330_0000_0000_0000),
        (0x4340_0000_0000_0000, 0x4340_0000_0000_0000),
        (0x7e37_e43c_8800_759c, 0x7e37_e43c_8800_759c),
        (0x0000_0000_0000_0001, 0x0000_0000_0000_0000),
        (0x8000_0000_0000_0001, 0xbff0_0000_0000_0000),
    ];

    const CEIL: &[(u64, u64)] = &[
        (0x0000_0000_0000_0000, 0x0000_0000_0000_0000),
        (0x8000_0000_0000_0000, 0x8000_0000_0000_0000),
        (0x3fdf_ffff_ffff_ffff, 0x3ff0_0000_0000_0000),
        (0xbfdf_ffff_ffff_ffff, 0x8000_0000_0000_0000),
        (0x3fe0_0000_0000_0000, 0x3ff0_0000_0000_0000),
        (0xbfe0_0000_0000_0000, 0x8000_0000_0000_0000),
        (0x3ff0_0000_0000_0000, 0x3ff0_0000_0000_0000),
        (0xbff0_0000_0000_0000, 0xbff0_0000_0000_0000),
        (0x3ff7_ffff_ffff_ffff, 0x4000_0000_0000_0000),
        (0x3ff8_0000_0000_0000, 0x4000_0000_0000_0000),
        (0xbff8_0000_0000_0000, 0xbff0_0000_0000_0000),
        (0x4004_0000_0000_0000, 0x4008_0000_0000_0000),
        (0xc004_0000_0000_0000, 0xc000_0000_0000_0000),
        (0x400d_9999_9999_999a, 0x4010_0000_0000_0000),
        (0xc00d_9999_9999_999a, 0xc008_0000_0000_0000),
        (0x40fe_240c_9fbe_76c9, 0x40fe_2410_0000_0000),
        (0xc0fe_240c_9fbe_76c9, 0xc0fe_2400_0000_0000),
        (0x432f_ffff_ffff_ffff, 0x4330_0000_0000_0000),
        (0xc32f_ffff_ffff_ffff, 0xc32f_ffff_ffff_fffe),
        (0x4340_0000_0000_0000, 0x4340_0000_0000_0000),
        (0x7e37_e43c_8800_759c, 0x7e37_e43c_8800_759c),
        (0x0000_0000_0000_0001, 0x3ff0_0000_0000_0000),
        (0x8000_0000_0000_0001, 0x8000_0000_0000_0000),
    ];

    const ROUND: &[(u64, u64)] = &[
        (0x0000_0000_0000_0000, 0x0000_0000_0000_0000),
        (0x8000_0000_0000_0000, 0x8000_0000_0000_0000),
        (0x3fdf_ffff_ffff_ffff, 0x0000_0000_0000_0000),
        (0xbfdf_ffff_ffff_ffff, 0x8000_0000_0000_0000),
        (0x3fe0_0000_0000_0000, 0x3ff0_0000_0000_0000),
        (0xbfe0_0000_0000_0000, 0xbff0_0000_0000_0000),
        (0x3ff0_0000_0000_0000, 0x3ff0_0000_0000_0000),
        (0xbff0_0000_0000_0000, 0xbff0_0000_0000_0000),
        (0x3ff7_ffff_ffff_ffff, 0x3ff0_0000_0000_0000),
        (0x3ff8_0000_0000_0000, 0x4000_0000_0000_0000),
        (0xbff8_0000_0000_0000, 0xc000_0000_0000_0000),
        (0x4004_0000_0000_0000, 0x4008_0000_0000_0000),
        (0xc004_0000_0000_0000, 0xc008_0000_0000_0000),
        (0x400d_9999_9999_999a, 0x4010_0000_0000_0000),
        (0xc00d_9999_9999_999a, 0xc010_0000_0000_0000),
        (0x40fe_240c_9fbe_76c9, 0x40fe_2410_0000_0000),
        (0xc0fe_240c_9fbe_76c9, 0xc0fe_2410_0000_0000),
        (0x432f_ffff_ffff_ffff, 0x4330_0000_0000_0000),
        (0xc32f_ffff_ffff_ffff, 0xc330_0000_0000_0000),
        (0x4340_0000_0000_0000, 0x4340_0000_0000_0000),
        (0x7e37_e43c_8800_759c, 0x7e37_e43c_8800_759c),
        (0x0000_0000_0000_0001, 0x0000_0000_0000_0000),
        (0x8000_0000_0000_0001, 0x8000_0000_0000_0000),
    ];

    const POW: &[(u64, u64, u64)] = &[
        (0x4000_0000_0000_0000, 0x4024_0000_0000_0000, 0x4090_0000_0000_0000),
        (0x4000_0000_0000_0000, 0x3fe0_0000_0000_0000, 0x3ff6_a09e_667f_3bcd),
        (0x4000_0000_0000_0000, 0xbfe0_0000_0000_0000, 0x3fe6_a09e_667f_3bcc),
        (0x4024_0000_0000_0000, 0x4008_0000_0000_0000, 0x408f_4000_0000_0000),
        (0x4024_0000_0000_0000, 0xc008_0000_0000_0000, 0x3f50_624d_d2f1_a9fc),
        (0x3fb9_9999_9999_999a, 0x3fb9_9999_9999_999a, 0x3fe9_6b23_0bcd_c434),
        (0x3fec_cccc_cccc_cccd, 0x3fd5_5555_5555_5555, 0x3fee_e549_fe70_85e7),
        (0x3ff1_9999_9999_999a, 0x3ff3_3333_3333_3333, 0x3ff1_f04f_4984_2d11),
        (0x3ff8_0000_0000_0000, 0x3ff0_cccc_cccc_cccd, 0x3ff8_7dd4_7f13_6518),
        (0x3fef_fffd_e721_0be9, 0x412e_8480_0000_0000, 0x3fd7_8b55_70a9_0a47),
        (0x3ff0_0001_0c6f_7a0b, 0x412e_8480_0000_0000, 0x4005_bf09_d4a0_f972),
        (0x0000_0000_0000_0000, 0x4000_0000_0000_0000, 0x0000_0000_0000_0000),
        (0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 0x3ff0_0000_0000_0000),
        (0x4014_0000_0000_0000, 0x0000_0000_0000_0000, 0x3ff0_0000_0000_0000),
        (0xc000_0000_0000_0000, 0x4008_0000_0000_0000, 0xc020_0000_0000_0000),
        (0xc000_0000_0000_0000, 0x4000_0000_0000_0000, 0x4010_0000_0000_0000),
        (0x7e37_e43c_8800_759c, 0x3ff0_51eb_851e_b852, 0x7f76_c8e5_ca23_9078),
        (0x01a5_6e1f_c2f8_f359, 0x3ff0_cccc_cccc_cccd, 0x0000_0000_0c10_69cd),
        (0x4202_a05f_2000_0000, 0x403f_0000_0000_0000, 0x7ff0_0000_0000_0000),
        (0x405e_dd2f_1a9f_be77, 0xc004_0000_0000_0000, 0x3ed8_c470_85e5_4025),
        (0x3fe0_0000_0000_0000, 0x4090_c800_0000_0000, 0x0000_0000_0000_0001),
        (0x3fe6_6666_6666_6666, 0x4003_3333_3333_3333, 0x3fdb_30bc_b6ea_848e),
    ];
}
