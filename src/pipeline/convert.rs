//! Native units become the data item's units.

use std::sync::Arc;

use guideway_contract::{Annotated, Cell, DataSet, TimeSeries, Value};

use super::units::Conversion;

/// Converts every number in the value: a number, three, a time series, or the entries of a data
/// set. Rows of tables stay: their cells have units of their own. `None` when a number grows beyond
/// what can be written.
pub(super) fn convert(conversion: Conversion, value: Value) -> Option<Value> {
    let finite = |number: f64| Some(conversion.apply(number)).filter(|number| number.is_finite());
    match value {
        Value::Number(number) => finite(number).map(Value::Number),
        Value::Vector3(numbers) => {
            let [x, y, z] = *numbers;
            Some(Value::Vector3(Arc::new([finite(x)?, finite(y)?, finite(z)?])))
        }
        Value::TimeSeries(series) => {
            let values = series.values.iter().map(|number| finite(*number)).collect::<Option<_>>()?;
            Some(Value::TimeSeries(Arc::new(TimeSeries { rate: series.rate, values })))
        }
        Value::DataSet(set) => {
            let mut entries = set.entries().to_vec();
            for entry in &mut entries {
                entry.cell = match &entry.cell {
                    // Whole numbers that a data set can hold are far below 2^53 in practice.
                    Cell::Integer(number) => Cell::Number(finite(*number as f64)?),
                    Cell::Number(number) => Cell::Number(finite(*number)?),
                    other => other.clone(),
                };
            }
            Some(Value::DataSet(Arc::new(DataSet::new(set.reset.clone(), entries))))
        }
        Value::Annotated(annotated) => {
            let value = convert(conversion, annotated.value.clone())?;
            Some(Value::Annotated(Arc::new(Annotated { value, ..(*annotated).clone() })))
        }
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use guideway_contract::Entry;

    const INCHES: Conversion = Conversion { offset: 0.0, factor: 25.4 };

    #[test]
    fn vectors_time_series_and_data_sets_are_converted_within() {
        let vector = convert(INCHES, Value::Vector3(Arc::new([1.0, 2.0, -1.0])));
        assert_eq!(vector, Some(Value::Vector3(Arc::new([25.4, 50.8, -25.4]))));

        let series = |values| Value::TimeSeries(Arc::new(TimeSeries { rate: Some(10.0), values }));
        assert_eq!(convert(INCHES, series(vec![1.0, 2.0])), Some(series(vec![25.4, 50.8])));

        let entry = |cell| vec![Entry { key: "a".into(), cell }];
        let set = |cell| Value::DataSet(Arc::new(DataSet::new(None, entry(cell))));
        assert_eq!(convert(INCHES, set(Cell::Integer(2))), Some(set(Cell::Number(50.8))));
        assert_eq!(convert(INCHES, set(Cell::Removed)), Some(set(Cell::Removed)));
        let row = set(Cell::Row(entry(Cell::Integer(2))));
        assert_eq!(convert(INCHES, row.clone()), Some(row));
    }

    #[test]
    fn an_annotated_number_is_converted_and_keeps_its_annotation() {
        let annotated = |number| {
            let value = Value::Number(number);
            Value::Annotated(Arc::new(Annotated { value, duration: Some(2.0), reset_triggered: None }))
        };
        assert_eq!(convert(INCHES, annotated(2.0)), Some(annotated(50.8)));
    }

    #[test]
    fn a_number_that_grows_beyond_all_bounds_is_none() {
        assert_eq!(convert(INCHES, Value::Number(f64::MAX)), None);
        assert_eq!(convert(INCHES, Value::text("x")), Some(Value::text("x")));
    }
}
