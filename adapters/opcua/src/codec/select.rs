//! Elements of arrays and fields of structures.

use guideway_contract::Native;
use opcua_types::NumericRange;

/// An element or a stretch of an array (OPC 10000-4, 7.27), from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The first and the last element of each dimension, and whether it was written as one element.
    dimensions: Vec<(u32, u32, bool)>,
}

impl Index {
    /// Reads `3`, `0:4` or `1,2`.
    ///
    /// # Errors
    /// How it is written.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no index: write 3, 0:4 or 1,2");
        let dimensions = text.split(',').map(|one| {
            let one = one.trim();
            let number = |text: &str| text.trim().parse::<u32>().map_err(|_| wrong());
            match one.split_once(':') {
                Some((low, high)) => {
                    let (low, high) = (number(low)?, number(high)?);
                    if low < high { Ok((low, high, false)) } else { Err(wrong()) }
                }
                None => number(one).map(|one| (one, one, true)),
            }
        });
        let dimensions = dimensions.collect::<Result<Vec<_>, _>>()?;
        if dimensions.len() > 4 { Err(wrong()) } else { Ok(Self { dimensions }) }
    }

    /// As a request says it.
    pub fn range(&self) -> NumericRange {
        let one = |&(low, high, single): &(u32, u32, bool)| {
            if single { NumericRange::Index(low) } else { NumericRange::Range(low, high) }
        };
        match self.dimensions.as_slice() {
            [dimension] => one(dimension),
            several => NumericRange::MultipleRanges(several.iter().map(one).collect()),
        }
    }

    /// How many elements of the first dimension it takes.
    pub fn elements(&self) -> usize {
        self.dimensions.first().map_or(0, |(low, high, _)| (high - low) as usize + 1)
    }

    /// Whether it is one element, not a list.
    pub fn is_one(&self) -> bool {
        self.dimensions.iter().all(|(.., single)| *single)
    }

    /// What a whole array has there.
    ///
    /// # Errors
    /// The value is no array or a shorter one.
    pub fn of(&self, value: &Native) -> Result<Native, String> {
        pick(value, &self.dimensions)
    }

    /// What a server that took the stretch itself has sent: one element comes as an array of one.
    pub fn of_reply(&self, value: Native) -> Native {
        let mut value = value;
        for (.., single) in &self.dimensions {
            if !single {
                return value;
            }
            match &value {
                Native::List(values) if values.len() == 1 => value = values[0].clone(),
                _ => return value,
            }
        }
        value
    }
}

fn pick(value: &Native, dimensions: &[(u32, u32, bool)]) -> Result<Native, String> {
    let Some(((low, high, single), rest)) = dimensions.split_first() else { return Ok(value.clone()) };
    let Native::List(values) = value else {
        return Err(format!("the value is {}, not an array", value.kind()));
    };
    let short = || format!("the array has {} elements: there is no {high}", values.len());
    if *single {
        return pick(values.get(*low as usize).ok_or_else(short)?, rest);
    }
    let stretch = values.get(*low as usize..=*high as usize).ok_or_else(short)?;
    Ok(Native::List(stretch.iter().map(|value| pick(value, rest)).collect::<Result<_, _>>()?))
}

/// The field at a path of names; of a list, the field of each element.
///
/// # Errors
/// The value is no structure or has no such field.
pub fn field(value: &Native, path: &str) -> Result<Native, String> {
    let mut value = value.clone();
    for (depth, name) in path.split('.').enumerate() {
        if depth >= 16 {
            return Err("the path of fields is too long".into());
        }
        value = one_field(&value, name)?;
    }
    Ok(value)
}

fn one_field(value: &Native, name: &str) -> Result<Native, String> {
    match value {
        Native::Record(fields) => match fields.iter().find(|(field, _)| field == name) {
            Some((_, value)) => Ok(value.clone()),
            None => {
                let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
                Err(format!("the structure has no field `{name}`; it has {}", names.join(", ")))
            }
        },
        Native::List(values) => {
            let fields = values.iter().map(|value| match value {
                Native::List(_) => Err("fields of arrays in arrays are not read".to_owned()),
                other => one_field(other, name),
            });
            Ok(Native::List(fields.collect::<Result<_, _>>()?))
        }
        Native::Bad(cause) => Err(cause.to_string()),
        other => Err(format!("the value is {}, not a structure", other.kind())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(numbers: impl IntoIterator<Item = i64>) -> Native {
        Native::List(numbers.into_iter().map(Native::Int).collect())
    }

    #[test]
    fn an_index_takes_an_element_a_stretch_or_a_cell() {
        let index = |text: &str| Index::parse(text).unwrap();
        assert_eq!(index("2").of(&list(0..4)), Ok(Native::Int(2)));
        assert_eq!(index("1:2").of(&list(0..4)), Ok(list(1..3)));
        let table = Native::List([list(0..3), list(3..6)].into());
        assert_eq!(index("1,2").of(&table), Ok(Native::Int(5)));
        assert_eq!(index("0:1,2").of(&table).unwrap().to_string(), "[2, 5]");
        assert!(index("4").of(&list(0..4)).unwrap_err().contains("4 elements"));
        assert!(index("0").of(&Native::Int(1)).is_err());
        assert_eq!(index("2").of_reply(list([7])), Native::Int(7));
        assert_eq!(index("2:3").of_reply(list([7, 8])), list([7, 8]));
        assert_eq!(index("1,2").range().to_string(), "1,2");
        for text in ["", "a", "3:3", "4:3", "1,", "-1", "1,1,1,1,1"] {
            assert!(Index::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn fields_are_found_in_structures_and_in_arrays_of_them() {
        let point = |x: i64| Native::Record([("X".into(), Native::Int(x))].into());
        let pose = Native::Record([("Position".into(), point(4))].into());
        assert_eq!(field(&pose, "Position.X"), Ok(Native::Int(4)));
        assert_eq!(field(&Native::List([point(1), point(2)].into()), "X"), Ok(list(1..3)));
        assert!(field(&pose, "Y").unwrap_err().contains("it has Position"));
        assert!(field(&Native::Int(1), "Y").is_err());
    }
}
