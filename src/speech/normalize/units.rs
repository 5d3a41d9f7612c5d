//! Measures: what follows a number and is short for a word.
//!
//! Only with a number in front, and case counts: `5 m` are metres, `5 M` are not. Units whose sign is an English word
//! (`in`, `a`) are left out unless a period or an exponent gives them away.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::Regex;

use super::rewrite::{Around, number, pattern, rewrite};
use super::words::{cardinal, number as spoken_number};

/// (signs, one, many)
const UNITS: &[(&[&str], &str, &str)] = &[
    (&["%"], "percent", "percent"),
    (&["‰"], "per mille", "per mille"),
    (&["km"], "kilometer", "kilometers"),
    (&["m"], "meter", "meters"),
    (&["cm"], "centimeter", "centimeters"),
    (&["mm"], "millimeter", "millimeters"),
    (&["μm"], "micrometer", "micrometers"),
    (&["nm"], "nanometer", "nanometers"),
    (&["mi"], "mile", "miles"),
    (&["ft"], "foot", "feet"),
    (&["yd", "yds"], "yard", "yards"),
    (&["in²"], "square inch", "square inches"),
    (&["kg", "kgs"], "kilogram", "kilograms"),
    (&["g"], "gram", "grams"),
    (&["mg"], "milligram", "milligrams"),
    (&["μg", "mcg"], "microgram", "micrograms"),
    (&["lb", "lbs"], "pound", "pounds"),
    (&["oz"], "ounce", "ounces"),
    (&["gal"], "gallon", "gallons"),
    (&["l", "L"], "liter", "liters"),
    (&["ml", "mL"], "milliliter", "milliliters"),
    (&["cl"], "centiliter", "centiliters"),
    (&["tsp"], "teaspoon", "teaspoons"),
    (&["tbsp"], "tablespoon", "tablespoons"),
    (&["km/h", "kmh", "kph", "kmph"], "kilometer per hour", "kilometers per hour"),
    (&["mph"], "mile per hour", "miles per hour"),
    (&["rpm"], "revolution per minute", "revolutions per minute"),
    (&["fps"], "frame per second", "frames per second"),
    (&["bpm"], "beat per minute", "beats per minute"),
    (&["ppm"], "part per million", "parts per million"),
    (&["dpi"], "dot per inch", "dots per inch"),
    (&["px"], "pixel", "pixels"),
    (&["hp"], "horsepower", "horsepower"),
    (&["Hz"], "hertz", "hertz"),
    (&["kHz"], "kilohertz", "kilohertz"),
    (&["MHz"], "megahertz", "megahertz"),
    (&["GHz"], "gigahertz", "gigahertz"),
    (&["W"], "watt", "watts"),
    (&["kW"], "kilowatt", "kilowatts"),
    (&["MW"], "megawatt", "megawatts"),
    (&["GW"], "gigawatt", "gigawatts"),
    (&["Wh"], "watt hour", "watt hours"),
    (&["kWh"], "kilowatt hour", "kilowatt hours"),
    (&["MWh"], "megawatt hour", "megawatt hours"),
    (&["V"], "volt", "volts"),
    (&["mV"], "millivolt", "millivolts"),
    (&["kV"], "kilovolt", "kilovolts"),
    (&["mA"], "milliamp", "milliamps"),
    (&["mAh"], "milliamp hour", "milliamp hours"),
    (&["Ω", "Ω"], "ohm", "ohms"),
    (&["kΩ", "kΩ"], "kilohm", "kilohms"),
    (&["J"], "joule", "joules"),
    (&["kJ"], "kilojoule", "kilojoules"),
    (&["cal"], "calorie", "calories"),
    (&["kcal"], "kilocalorie", "kilocalories"),
    (&["Pa"], "pascal", "pascals"),
    (&["kPa"], "kilopascal", "kilopascals"),
    (&["hPa"], "hectopascal", "hectopascals"),
    (&["dB"], "decibel", "decibels"),
    (&["KB", "kB"], "kilobyte", "kilobytes"),
    (&["MB"], "megabyte", "megabytes"),
    (&["GB"], "gigabyte", "gigabytes"),
    (&["TB"], "terabyte", "terabytes"),
    (&["PB"], "petabyte", "petabytes"),
    (&["KiB"], "kibibyte", "kibibytes"),
    (&["MiB"], "mebibyte", "mebibytes"),
    (&["GiB"], "gibibyte", "gibibytes"),
    (&["kbps", "kbit/s"], "kilobit per second", "kilobits per second"),
    (&["Mbps", "Mbit/s"], "megabit per second", "megabits per second"),
    (&["Gbps", "Gbit/s"], "gigabit per second", "gigabits per second"),
    (&["h", "hr", "hrs"], "hour", "hours"),
    (&["min", "mins"], "minute", "minutes"),
    (&["s", "sec", "secs"], "second", "seconds"),
    (&["ms"], "millisecond", "milliseconds"),
    (&["μs"], "microsecond", "microseconds"),
    (&["ns"], "nanosecond", "nanoseconds"),
    (&["yr", "yrs"], "year", "years"),
    (&["sq ft", "sq. ft.", "ft²", "ft2"], "square foot", "square feet"),
    (&["cu ft", "cu. ft.", "ft³", "ft3"], "cubic foot", "cubic feet"),
    (&["sq mi", "sq. mi.", "mi²"], "square mile", "square miles"),
    (&["m²", "m2", "sq m"], "square meter", "square meters"),
    (&["km²", "km2", "sq km"], "square kilometer", "square kilometers"),
    (&["cm²", "cm2"], "square centimeter", "square centimeters"),
    (&["m³", "m3"], "cubic meter", "cubic meters"),
    (&["cm³", "cm3"], "cubic centimeter", "cubic centimeters"),
    (&["m/s²", "m/s2"], "meter per second squared", "meters per second squared"),
];

/// What stands under the stroke in `MB/s`.
const PER: &[(&str, &str)] = &[
    ("s", "second"),
    ("sec", "second"),
    ("min", "minute"),
    ("h", "hour"),
    ("hr", "hour"),
    ("day", "day"),
    ("week", "week"),
    ("month", "month"),
    ("year", "year"),
    ("kg", "kilogram"),
    ("g", "gram"),
    ("l", "liter"),
    ("L", "liter"),
    ("ml", "milliliter"),
    ("dl", "deciliter"),
    ("m²", "square meter"),
    ("m³", "cubic meter"),
    ("km", "kilometer"),
    ("kWh", "kilowatt hour"),
];

static NAMES: LazyLock<HashMap<&str, (&str, &str)>> = LazyLock::new(|| {
    UNITS.iter().flat_map(|(signs, one, many)| signs.iter().map(move |sign| (*sign, (*one, *many)))).collect()
});

/// The longest sign first, because alternatives are tried in order.
static MEASURE: LazyLock<Regex> = LazyLock::new(|| {
    let alternatives = |signs: Vec<&str>| {
        let mut signs = signs;
        signs.sort_by_key(|sign| std::cmp::Reverse(sign.len()));
        signs.iter().map(|sign| regex::escape(sign)).collect::<Vec<_>>().join("|")
    };
    let units = alternatives(NAMES.keys().copied().collect());
    let per = alternatives(PER.iter().map(|(sign, _)| *sign).collect());
    let number = number!();
    Regex::new(&format!(r"(-)?({number})(?: ?[-–—] ?({number}))?( |-)?({units})(?:/({per})\b)?(\.)?"))
        .expect("escaped signs make a pattern")
});

pub(super) fn read_out(text: &str) -> String {
    let text = parts_of_units(&degrees(&feet_and_inches(text)));
    rewrite(&text, &MEASURE, |found, around| {
        let group = |at| found.get(at).map(|group| group.as_str());
        let (low, sign) = (group(2)?, group(5)?);
        if !measures(around, low, group(4), sign, group(1).is_some()) {
            return None;
        }
        let (one, many) = NAMES.get(sign)?;
        let last = group(3).unwrap_or(low);
        let attribute = group(4) == Some("-");
        let unit = if last == "1" || attribute { one } else { many };
        let mut words = String::new();
        if group(1).is_some() {
            words.push_str("minus ");
        }
        if group(3).is_some() {
            let _ = write!(words, "{} to ", spoken_number(low));
        }
        let _ = write!(words, "{}{}{unit}", spoken_number(last), if attribute { "-" } else { " " });
        if let Some(per) = group(6) {
            let name = PER.iter().find(|(sign, _)| *sign == per)?.1;
            let _ = write!(words, " per {name}");
        }
        // "5 min. later": the period of an abbreviation goes, unless a sentence ends with it.
        if group(7).is_some() && (around.sentence_ends() || sign.ends_with(['%', '‰'])) {
            words.push('.');
        }
        Some(words)
    })
}

/// `1/2 tsp`: the number rules read the fraction, so only the sign is written out here.
fn parts_of_units(text: &str) -> String {
    rewrite(text, pattern!(r"((?:\b\d+ )?\b\d{1,2}/\d{1,2}) ?([A-Za-z]{1,4})\b\.?"), |found, around| {
        let (one, many) = NAMES.get(&found[2])?;
        let unit = if found[1].contains(' ') { many } else { one };
        let stop = if found[0].ends_with('.') && around.sentence_ends() { "." } else { "" };
        around.is_whole_number().then(|| format!("{} {unit}{stop}", &found[1]))
    })
}

/// The sign ends here, the number begins here, and it is none of the look-alikes.
fn measures(around: Around<'_>, number: &str, gap: Option<&str>, sign: &str, signed: bool) -> bool {
    let before = around.previous();
    let begins = !before.is_some_and(|c| c.is_alphanumeric() || ".,/:-–".contains(c))
        || (!signed && before == Some('-') && sign == "%");
    let after = around.next();
    let ends =
        sign.ends_with(['%', '‰']) || !after.is_some_and(|c| c.is_alphanumeric() || "²³'/".contains(c));
    // "1990s" and "the 20s" are decades.
    let decade = sign == "s" && gap.is_none() && number.ends_with('0') && matches!(number.len(), 2 | 4);
    // "5-m" is a list or a name as often as a length.
    let doubtful = gap == Some("-") && sign.len() == 1 && sign != "%";
    begins && ends && !decade && !doubtful && (!signed || around.allows_sign())
}

fn degrees(text: &str) -> String {
    let pattern =
        pattern!(concat!("(-)?(", number!(), r")(?: ?[-–—] ?(", number!(), r"))? ?°(?: ?([CF])\b)?"));
    rewrite(text, pattern, |found, around| {
        let signed = found.get(1).is_some();
        if around.previous().is_some_and(|c| c.is_alphanumeric() || ".,".contains(c))
            || (signed && !around.allows_sign())
        {
            return None;
        }
        let scale = match found.get(4).map(|scale| scale.as_str()) {
            Some("C") => " Celsius",
            Some(_) => " Fahrenheit",
            None => "",
        };
        let range = found.get(3).map_or(String::new(), |_| format!("{} to ", spoken_number(&found[2])));
        let last = found.get(3).map_or(&found[2], |high| high.as_str());
        let unit = if last == "1" { "degree" } else { "degrees" };
        Some(format!("{}{range}{} {unit}{scale}", if signed { "minus " } else { "" }, spoken_number(last)))
    })
}

/// `5'11"`, and `27"` where the quotation mark cannot be one: an even number stands before it in the line.
fn feet_and_inches(text: &str) -> String {
    let pattern = pattern!(r#"\b(\d{1,2})(?:'| ?ft\.?) ?(\d{1,2})(?:"|''| ?in\b\.?)"#);
    let text = rewrite(text, pattern, |found, _| {
        let plural = |number: &str, one, many| if number == "1" { one } else { many };
        let (feet, inches) = (&found[1], &found[2]);
        Some(format!(
            "{} {} {} {}",
            cardinal(feet),
            plural(feet, "foot", "feet"),
            cardinal(inches),
            plural(inches, "inch", "inches")
        ))
    });
    let text = rewrite(&text, pattern!(concat!(r"(", number!(), r#")""#)), |found, around| {
        let inside_quotes = around.just_before().matches('"').count() % 2 == 1;
        let unit = if &found[1] == "1" { "inch" } else { "inches" };
        (!inside_quotes && around.is_whole_number() && around.stands_alone())
            .then(|| format!("{} {unit}", spoken_number(&found[1])))
    });
    rewrite(&text, pattern!(concat!(r"\b(", number!(), r") ?in\.")), |found, around| {
        let continues =
            around.after.strip_prefix(' ').is_some_and(|rest| rest.starts_with(|c: char| c.is_lowercase()));
        let unit = if &found[1] == "1" { "inch" } else { "inches" };
        (continues && around.is_whole_number()).then(|| format!("{} {unit}", spoken_number(&found[1])))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_spoken;

    #[test]
    fn measures_are_read_out() {
        assert_spoken(&[
            ("5 km", "five kilometers"),
            ("1 km", "one kilometer"),
            ("10kg", "ten kilograms"),
            ("2.5 m", "two point five meters"),
            ("1,500 km away", "one thousand five hundred kilometers away"),
            ("20°C", "twenty degrees Celsius"),
            ("-5 °F", "minus five degrees Fahrenheit"),
            ("a 90° turn", "a ninety degrees turn"),
            ("60 mph", "sixty miles per hour"),
            ("100 km/h", "one hundred kilometers per hour"),
            ("3 GB", "three gigabytes"),
            ("150 MB/s", "one hundred fifty megabytes per second"),
            ("50%", "fifty percent"),
            ("-2.5 %", "minus two point five percent"),
            ("5–10 km", "five to ten kilometers"),
            ("5-10%", "five to ten percent"),
            ("a 5-km run", "a five-kilometer run"),
            ("30 m²", "thirty square meters"),
            ("200 sq. ft. flat", "two hundred square feet flat"),
            ("2 tbsp. of oil, 50%. Stop", "two tablespoons of oil, fifty percent. Stop"),
            ("5 ft 4 in tall", "five feet four inches tall"),
            ("5 min. later", "five minutes later"),
            ("wait 10 min.", "wait ten minutes."),
            ("It took 10 hrs. We slept.", "It took ten hours. We slept."),
            ("5'11\"", "five feet eleven inches"),
            ("a 27\" screen", "a twenty-seven inches screen"),
            ("5 in. wide", "five inches wide"),
            ("440 Hz", "four hundred forty hertz"),
            ("200 ms", "two hundred milliseconds"),
            ("1/2 tsp salt, 2 1/4 oz.", "one half teaspoon salt, two and a quarter ounces."),
            ("9.81 m/s²", "nine point eight one meters per second squared"),
        ]);
    }

    #[test]
    fn look_alikes_are_not_measures() {
        assert_spoken(&[
            ("5 mad men", "five mad men"),
            ("in the 1990s", "in the nineteen nineties"),
            ("5 in a row", "five in a row"),
            ("He said \"I am 27\" twice", "He said \"I am twenty-seven\" twice"),
            ("5G", "five G"),
        ]);
    }
}
