//! Rows that hold values of a domain, when the domain gets another constraint.

use super::attributes::{contains, in_use, type_oid};
use super::edit::Edit;
use super::expression;
use crate::bind::ScalarScope;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::schema::catalog::{Catalog, Column, Table, UserType};
use crate::schema::physical::quote;
use crate::schema::row::ObjectId;
use crate::schema::table_sql::location;

impl Edit<'_> {
    /// Refuses NULL in the columns of a domain.
    pub(super) fn refuse_stored_null(&mut self, id: ObjectId) -> Result<(), SqlError> {
        for (table, column) in self.columns_of_domain(id)? {
            let name = quote(&column.physical_name);
            let sql = format!("SELECT 1 FROM {} WHERE {name} IS NULL LIMIT 1", location(&table));
            let message = format!(
                "column \"{}\" of table \"{}\" contains null values",
                column.name, table.name
            );
            let error = SqlError::new(SqlState::NOT_NULL_VIOLATION, message);
            self.refuse_before(sql, of_column(error, &table, &column));
        }
        Ok(())
    }

    /// Refuses values in the columns of a domain that a condition does not hold for.
    pub(super) fn refuse_stored_values(
        &mut self,
        id: ObjectId,
        (base, typmod): (Oid, i32),
        condition: &str,
    ) -> Result<(), SqlError> {
        for (table, column) in self.columns_of_domain(id)? {
            // The condition calls the column VALUE.
            let value =
                Column { name: "value".to_owned(), type_oid: base, typmod, ..column.clone() };
            let scope = ScalarScope::Table { name: "", columns: std::slice::from_ref(&value) };
            let expected = Some((Oid::BOOL, -1));
            let lowered = expression::bind(condition, scope, expected, &self.context())?;
            let from = location(&table);
            let sql = format!("SELECT 1 FROM {from} WHERE NOT ({}) LIMIT 1", lowered.sql);
            let message = format!(
                "column \"{}\" of table \"{}\" contains values that violate the new constraint",
                column.name, table.name
            );
            let error = SqlError::new(SqlState::CHECK_VIOLATION, message);
            self.refuse_before(sql, of_column(error, &table, &column));
        }
        Ok(())
    }

    /// The columns of a domain and of the domains over it.
    fn columns_of_domain(&self, id: ObjectId) -> Result<Vec<(Table, Column)>, SqlError> {
        let Some(oid) = type_oid(&self.catalog, id) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for table in self.catalog.tables.values() {
            for column in &table.columns {
                if is_over(&self.catalog, column.type_oid, oid) {
                    found.push((table.clone(), column.clone()));
                } else if contains(&self.catalog, column.type_oid, oid) {
                    let name = self.catalog.types.get(&oid).map_or("", UserType::name);
                    let column = format!("{}.{}", table.name, column.name);
                    return Err(in_use(name, &column));
                }
            }
        }
        Ok(found)
    }
}

/// Whether a type is the domain or a domain over it.
fn is_over(catalog: &Catalog, oid: Oid, domain: Oid) -> bool {
    let mut current = oid;
    // Merged rows might refer in a circle.
    for _ in 0..32 {
        if current == domain {
            return true;
        }
        match catalog.types.get(&current) {
            Some(UserType::Domain(found)) => current = found.base_type,
            Some(UserType::Enum(_) | UserType::Composite(_) | UserType::Range(_)) | None => {
                return false;
            }
        }
    }
    false
}

fn of_column(error: SqlError, table: &Table, column: &Column) -> SqlError {
    let mut error = error;
    error.object.table = Some(table.name.clone());
    error.object.column = Some(column.name.clone());
    error
}
