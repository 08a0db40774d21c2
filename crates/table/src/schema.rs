//! Between the lake's table specs and Iceberg schemas, and how a table evolves.

use std::collections::BTreeMap;

use iceberg::spec::{
    ListType, NestedField, PartitionSpec, PrimitiveType, Schema, Transform, Type,
    UnboundPartitionSpec,
};
use tarn_core::schema::{
    ColumnType, Field, PartitionUnit, Partitioning, TableField, TableName, TableSpec,
};
use tarn_core::{Error, ErrorKind, Result};

use crate::store::iceberg_error;

/// The table property that holds what the table is for, as other engines read it.
pub(crate) const COMMENT: &str = "comment";

/// Hands out field ids that no column of the table ever had.
struct NewIds {
    last: i32,
}

impl NewIds {
    fn next(&mut self) -> Result<i32> {
        self.last = self.last.checked_add(1).ok_or_else(|| {
            Error::new(ErrorKind::BadContract, "the table has had too many columns")
        })?;
        Ok(self.last)
    }
}

/// The schema of a new table. Columns are numbered from 1, then the elements of lists.
pub(crate) fn new_schema(spec: &TableSpec) -> Result<Schema> {
    let mut ids = NewIds { last: 0 };
    let mut top = Vec::new();
    for field in &spec.fields {
        top.push((field, ids.next()?));
    }
    let mut fields = Vec::new();
    for (field, id) in top {
        let element = if field.ty == ColumnType::StringList {
            Some(ids.next()?)
        } else {
            None
        };
        fields.push(nested(field, id, element)?);
    }
    build(fields, spec)
}

/// The schema that holds the spec's columns in the spec's order, with the ids of the current one.
///
/// # Errors
/// `BadContract`, with every difference that data already written does not allow.
pub(crate) fn evolve(current: &Schema, last_id: i32, spec: &TableSpec) -> Result<Schema> {
    let mut ids = NewIds { last: last_id };
    let mut differences = Vec::new();
    let mut had: BTreeMap<String, TableField> = BTreeMap::new();
    for field in fields(current)? {
        had.insert(field.field.name.clone(), field);
    }
    let mut evolved = Vec::new();
    for field in &spec.fields {
        let Some(old) = had.remove(&field.name) else {
            if field.required {
                differences.push(format!(
                    "the new column {} must be optional: rows already written have no value for it",
                    field.name
                ));
            }
            let id = ids.next()?;
            let element = if field.ty == ColumnType::StringList {
                Some(ids.next()?)
            } else {
                None
            };
            evolved.push(nested(field, id, element)?);
            continue;
        };
        let widens = old.field.ty == ColumnType::Int && field.ty == ColumnType::Long;
        if old.field.ty != field.ty && !widens {
            differences.push(format!(
                "column {} is {} in the table and {} in the contract",
                field.name, old.field.ty, field.ty
            ));
        }
        if field.required && !old.field.required {
            differences.push(format!(
                "column {} is optional in the table and required in the contract",
                field.name
            ));
        }
        evolved.push(nested(field, old.id, old.element_id)?);
    }
    // A column that the contract does not have stays for the rows that have a value in it.
    for old in fields(current)?
        .into_iter()
        .filter(|old| had.contains_key(&old.field.name))
    {
        if old.field.required {
            differences.push(format!(
                "column {} is required in the table and not in the contract",
                old.field.name
            ));
        }
        evolved.push(nested(&old.field, old.id, old.element_id)?);
    }
    if !differences.is_empty() {
        return Err(misfit(&spec.name, &differences));
    }
    build(evolved, spec)
}

/// The error for a contract that its table cannot follow.
pub(crate) fn misfit(name: &TableName, differences: &[String]) -> Error {
    Error::new(
        ErrorKind::BadContract,
        format!(
            "the contract no longer fits the table {name}: {}. Columns can be added or left out if they are optional, \
             made optional, and widened from int to bigint; for any other change undo it or give the dataset a new name",
            differences.join("; ")
        ),
    )
}

fn build(fields: Vec<NestedField>, spec: &TableSpec) -> Result<Schema> {
    let mut identifier = Vec::new();
    for name in &spec.identifier {
        let Some(field) = fields.iter().find(|field| field.name == *name) else {
            return Err(Error::new(
                ErrorKind::BadContract,
                format!(
                    "the identifier {name} of {} is not one of its columns",
                    spec.name
                ),
            ));
        };
        // Iceberg allows neither optional columns nor floating point numbers.
        let fit = field.required
            && field.field_type.is_primitive()
            && !field.field_type.is_floating_type();
        identifier.push(fit.then_some(field.id));
    }
    let identifier: Option<Vec<i32>> = identifier.into_iter().collect();
    Schema::builder()
        .with_fields(fields.into_iter().map(Into::into))
        .with_identifier_field_ids(identifier.unwrap_or_default())
        .build()
        .map_err(|error| {
            Error::new(
                ErrorKind::BadContract,
                format!("{} cannot be an Iceberg table", spec.name),
            )
            .with_source(error)
        })
}

fn nested(field: &Field, id: i32, element: Option<i32>) -> Result<NestedField> {
    let primitive = |ty| Ok(Type::Primitive(ty));
    let ty = match field.ty {
        ColumnType::String => primitive(PrimitiveType::String),
        ColumnType::Int => primitive(PrimitiveType::Int),
        ColumnType::Long => primitive(PrimitiveType::Long),
        ColumnType::Double => primitive(PrimitiveType::Double),
        ColumnType::Boolean => primitive(PrimitiveType::Boolean),
        ColumnType::Date => primitive(PrimitiveType::Date),
        ColumnType::Timestamp => primitive(PrimitiveType::Timestamptz),
        ColumnType::Decimal { precision, scale } => primitive(PrimitiveType::Decimal {
            precision: precision.into(),
            scale: scale.into(),
        }),
        ColumnType::StringList => match element {
            Some(element) => Ok(Type::List(ListType::new(
                NestedField::list_element(element, Type::Primitive(PrimitiveType::String), true)
                    .into(),
            ))),
            None => Err(Error::internal(format!(
                "the list column {} has no element id",
                field.name
            ))),
        },
    }?;
    let nested = NestedField::new(id, &field.name, ty, field.required);
    Ok(if field.doc.is_empty() {
        nested
    } else {
        nested.with_doc(&field.doc)
    })
}

/// The columns of a schema.
///
/// # Errors
/// `Unsupported` for a type that the lake does not have (another engine made the column).
pub(crate) fn fields(schema: &Schema) -> Result<Vec<TableField>> {
    schema
        .as_struct()
        .fields()
        .iter()
        .map(|field| {
            let mut element_id = None;
            let ty = match field.field_type.as_ref() {
                Type::Primitive(PrimitiveType::String) => ColumnType::String,
                Type::Primitive(PrimitiveType::Int) => ColumnType::Int,
                Type::Primitive(PrimitiveType::Long) => ColumnType::Long,
                Type::Primitive(PrimitiveType::Double) => ColumnType::Double,
                Type::Primitive(PrimitiveType::Boolean) => ColumnType::Boolean,
                Type::Primitive(PrimitiveType::Date) => ColumnType::Date,
                Type::Primitive(PrimitiveType::Timestamptz) => ColumnType::Timestamp,
                Type::Primitive(PrimitiveType::Decimal { precision, scale })
                    if *precision <= 18 =>
                {
                    ColumnType::Decimal {
                        precision: u8::try_from(*precision).unwrap_or(18),
                        scale: u8::try_from(*scale).unwrap_or(18),
                    }
                }
                Type::List(list) if is_string(&list.element_field.field_type) => {
                    element_id = Some(list.element_field.id);
                    ColumnType::StringList
                }
                other => {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        format!(
                            "column {} has the type {other}, which this lake does not read",
                            field.name
                        ),
                    ));
                }
            };
            let doc = field.doc.clone().unwrap_or_default();
            let field_id = field.id;
            let field = Field {
                name: field.name.clone(),
                ty,
                required: field.required,
                doc,
            };
            Ok(TableField {
                field,
                id: field_id,
                element_id,
            })
        })
        .collect()
}

fn is_string(ty: &Type) -> bool {
    matches!(ty, Type::Primitive(PrimitiveType::String))
}

/// The partition spec of a new table: one field named `<column>_day` or `<column>_month`, or none.
pub(crate) fn partition_spec(spec: &TableSpec, schema: &Schema) -> Result<UnboundPartitionSpec> {
    let builder = UnboundPartitionSpec::builder();
    let Some(Partitioning { column, unit }) = &spec.partitioning else {
        return Ok(builder.build());
    };
    let bad = |what: &str| {
        Error::new(
            ErrorKind::BadContract,
            format!("{} cannot be partitioned by {column}: {what}", spec.name),
        )
    };
    let field = schema
        .field_by_name(column)
        .ok_or_else(|| bad("there is no such column"))?;
    if !matches!(
        field.field_type.as_ref(),
        Type::Primitive(PrimitiveType::Date | PrimitiveType::Timestamptz)
    ) {
        return Err(bad("only a date or a timestamp has days and months"));
    }
    let (suffix, transform) = match unit {
        PartitionUnit::Day => ("day", Transform::Day),
        PartitionUnit::Month => ("month", Transform::Month),
    };
    let name = format!("{column}_{suffix}");
    if schema.field_by_name(&name).is_some() {
        return Err(bad(&format!(
            "a column is named {name}, as the partition would be"
        )));
    }
    let builder = builder
        .add_partition_field(field.id, name, transform)
        .map_err(iceberg_error("the partition cannot be defined"))?;
    Ok(builder.build())
}

/// How a table is partitioned.
///
/// # Errors
/// `Unsupported` for a layout that the lake does not make.
pub(crate) fn partitioning(spec: &PartitionSpec, schema: &Schema) -> Result<Option<Partitioning>> {
    let unsupported = || {
        Error::new(
            ErrorKind::Unsupported,
            "the table is partitioned otherwise than by the day or month of one column",
        )
    };
    // A void transform is what is left of a partition that another engine dropped.
    let mut live = spec
        .fields()
        .iter()
        .filter(|field| field.transform != Transform::Void);
    let Some(field) = live.next() else {
        return Ok(None);
    };
    let unit = match field.transform {
        Transform::Day => PartitionUnit::Day,
        Transform::Month => PartitionUnit::Month,
        _ => return Err(unsupported()),
    };
    if spec.fields().len() > 1 {
        return Err(unsupported());
    }
    let column = schema
        .name_by_field_id(field.source_id)
        .ok_or_else(unsupported)?;
    Ok(Some(Partitioning {
        column: column.to_owned(),
        unit,
    }))
}
