//! Virtual tables over rows that are made as they are read.
//!
//! rusqlite has the callbacks; what is left to promise is that the objects start with SQLite's part. Implementors see
//! only the safe traits [`RowTable`] and [`RowCursor`].
//!
//! Source: SQLite documentation, `vtab.html`.

use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::vtab::{
    Context, CreateVTab, Filters, IndexInfo, Inserts, Module, UpdateVTab, Updates, VTab,
    VTabConnection, VTabCursor, VTabKind,
};
use rusqlite::{Connection, ffi};

/// A virtual table whose rows can be read from start to end, and inserted.
pub(in crate::store) trait RowTable: Send + Sync + 'static {
    /// `CREATE TABLE` with the columns.
    fn schema(&self) -> &'static CStr;
    /// Starts reading.
    fn open(&self) -> Box<dyn RowCursor>;
    /// Inserts a row, one value per column.
    fn insert(&self, values: Vec<Value>) -> rusqlite::Result<()>;
}

/// Reads a [`RowTable`].
pub(in crate::store) trait RowCursor {
    /// The next row, one value per column.
    fn next_row(&mut self) -> rusqlite::Result<Option<Vec<Value>>>;
}

/// Registers `table` under `name`; it is in no schema.
pub(in crate::store) fn register_row_table(
    connection: &Connection,
    name: &CStr,
    table: Arc<dyn RowTable>,
) -> rusqlite::Result<()> {
    const ROW_TABLE: Module<'_, RowVTab> = Module::update_module();
    connection.create_module(name, &ROW_TABLE, Some(table))
}

#[repr(C)]
struct RowVTab {
    base: ffi::sqlite3_vtab,
    table: Arc<dyn RowTable>,
}

#[repr(C)]
struct RowVTabCursor {
    base: ffi::sqlite3_vtab_cursor,
    table: Arc<dyn RowTable>,
    rows: Box<dyn RowCursor>,
    /// The present row; none at the end.
    row: Option<Vec<Value>>,
    /// Number of the present row.
    number: i64,
}

// SAFETY: the struct starts with SQLite's part and is `repr(C)`, as rusqlite requires.
unsafe impl VTab<'_> for RowVTab {
    type Aux = Arc<dyn RowTable>;
    type Cursor = RowVTabCursor;

    fn connect(
        _db: &mut VTabConnection,
        table: Option<&Self::Aux>,
        _module: &[u8],
        _database: &[u8],
        _name: &[u8],
        _arguments: &[&[u8]],
    ) -> rusqlite::Result<(Cow<'static, CStr>, Self)> {
        let missing = || rusqlite::Error::ModuleError("no table".into());
        let table = Arc::clone(table.ok_or_else(missing)?);
        Ok((Cow::Borrowed(table.schema()), Self { base: ffi::sqlite3_vtab::default(), table }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> rusqlite::Result<bool> {
        info.set_estimated_cost(1e9);
        Ok(true)
    }

    fn open(&mut self) -> rusqlite::Result<RowVTabCursor> {
        let (table, rows) = (Arc::clone(&self.table), self.table.open());
        Ok(RowVTabCursor {
            base: ffi::sqlite3_vtab_cursor::default(),
            table,
            rows,
            row: None,
            number: 0,
        })
    }
}

impl CreateVTab<'_> for RowVTab {
    const KIND: VTabKind = VTabKind::Eponymous;
}

impl UpdateVTab<'_> for RowVTab {
    fn delete(&mut self, _rowid: rusqlite::types::ValueRef<'_>) -> rusqlite::Result<()> {
        Err(rusqlite::Error::ModuleError("rows of this table cannot be deleted".into()))
    }

    fn insert(&mut self, arguments: &Inserts<'_>) -> rusqlite::Result<i64> {
        const FIRST_COLUMN: usize = 2;
        let values = (FIRST_COLUMN..arguments.len()).map(|index| arguments.get(index));
        self.table.insert(values.collect::<rusqlite::Result<_>>()?)?;
        Ok(0)
    }

    fn update(&mut self, _arguments: &Updates<'_>) -> rusqlite::Result<()> {
        Err(rusqlite::Error::ModuleError("rows of this table cannot be updated".into()))
    }
}

// SAFETY: the struct starts with SQLite's part and is `repr(C)`, as rusqlite requires.
unsafe impl VTabCursor for RowVTabCursor {
    fn filter(
        &mut self,
        _plan: c_int,
        _text: Option<&str>,
        _arguments: &Filters<'_>,
    ) -> rusqlite::Result<()> {
        self.rows = self.table.open();
        self.number = 0;
        self.row = self.rows.next_row()?;
        Ok(())
    }

    fn next(&mut self) -> rusqlite::Result<()> {
        self.number += 1;
        self.row = self.rows.next_row()?;
        Ok(())
    }

    fn eof(&self) -> bool {
        self.row.is_none()
    }

    fn column(&self, context: &mut Context, column: c_int) -> rusqlite::Result<()> {
        let index = usize::try_from(column).unwrap_or(usize::MAX);
        match self.row.as_ref().and_then(|row| row.get(index)) {
            Some(value) => context.set_result(value),
            None => context.set_result(&Value::Null),
        }
    }

    fn rowid(&self) -> rusqlite::Result<i64> {
        Ok(self.number)
    }
}
