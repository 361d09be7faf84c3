//! Functions, linked when all types and relations are there, whose rows may be their arguments.

use std::collections::BTreeSet;

use super::Linker;
use crate::builtin::Volatility;
use crate::oid::Oid;
use crate::schema::definition::{self, FunctionDefinition, TypeReference};
use crate::schema::function::{Function, Parameter};
use crate::schema::row::{ObjectId, ObjectKind, SchemaRow};

/// `COST` of a function of which nothing is said.
const DEFAULT_COST: f64 = 100.0;

/// `ROWS` of a set of which nothing is said.
const DEFAULT_ROWS: f64 = 1000.0;

impl Linker<'_> {
    /// Links the functions. Of two with the same schema, name and argument types the smaller id stays under its name (rule 1).
    pub(super) fn functions(&mut self) {
        let mut taken = BTreeSet::new();
        for row in self.live(ObjectKind::Function) {
            let Some(&namespace) = self.namespaces.get(&row.parent) else { continue };
            let definition: FunctionDefinition = definition::read(&row.definition);
            let Some(mut function) = self.function(row, namespace, definition) else { continue };
            let key = (namespace, function.name.clone(), function.arguments.clone());
            if !taken.insert(key) {
                function.name = super::fallback_name(row);
            }
            let names = &mut self.catalog.function_names;
            names.entry(function.name.clone()).or_default().push(function.oid);
            self.catalog.functions.insert(function.oid, function);
        }
    }

    /// A function; `None` if one of its types is gone (rule 2).
    fn function(
        &mut self,
        row: &SchemaRow,
        namespace: Oid,
        definition: FunctionDefinition,
    ) -> Option<Function> {
        let mut parameters = Vec::with_capacity(definition.parameters.len());
        for it in definition.parameters {
            let mode = it.mode.bytes().next().unwrap_or(b'i');
            let type_oid = self.type_or_row(&it.data_type)?;
            parameters.push(Parameter { name: it.name, mode, type_oid, default: it.default });
        }
        let result = self.type_or_row(&definition.result)?;
        let arguments = parameters.iter().filter(|it| it.is_input()).map(|it| it.type_oid);
        let arguments = arguments.collect();
        let variadic = parameters.iter().find(|it| it.mode == b'v');
        let variadic = variadic.map_or(Oid(0), |it| self.element_of(it.type_oid));
        let returns_set = definition.returns_set;
        let rows = definition.rows.map_or(DEFAULT_ROWS, f64::from_bits);
        Some(Function {
            id: row.id,
            oid: self.deal_main_oid(row.id),
            namespace,
            name: row.name.clone(),
            procedure: definition.procedure,
            parameters,
            arguments,
            variadic,
            result,
            returns_set,
            strict: definition.strict,
            volatility: match definition.volatility.as_str() {
                "i" => Volatility::Immutable,
                "s" => Volatility::Stable,
                _ => Volatility::Volatile,
            },
            leakproof: definition.leakproof,
            security_definer: definition.security_definer,
            parallel: definition.parallel.chars().next().unwrap_or('u'),
            cost: definition.cost.map_or(DEFAULT_COST, f64::from_bits),
            rows: if returns_set { rows } else { 0.0 },
            body: definition.body,
            standard: definition.standard,
        })
    }

    /// The type that a reference stands for, rows of relations included.
    fn type_or_row(&self, reference: &TypeReference) -> Option<Oid> {
        if let Some((oid, _)) = self.resolve_type(reference) {
            return Some(oid);
        }
        let id = ObjectId(reference.user?);
        let oid = self.oids.get(&id)?;
        if let Some(table) = self.catalog.tables.get(oid) {
            return Some(if reference.array { table.row_array_oid } else { table.row_type_oid });
        }
        let view = self.catalog.views.get(oid).filter(|_| !reference.array);
        view.map(|it| it.row_type_oid)
    }

    /// Element type of an array; `any` for `any`, as VARIADIC has it.
    fn element_of(&self, array: Oid) -> Oid {
        match array {
            Oid::ANYARRAY => Oid::ANYELEMENT,
            Oid::ANYCOMPATIBLEARRAY => Oid::ANYCOMPATIBLE,
            Oid::ANY => Oid::ANY,
            _ => crate::bind::resolve::Types::new(&self.catalog, &[])
                .base_element(array)
                .unwrap_or(Oid(0)),
        }
    }
}
