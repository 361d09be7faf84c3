// Sequelize: models, synchronization of the schema, associations, and its way to introspect.

const { DataTypes, Op, QueryTypes, Sequelize, UniqueConstraintError, ForeignKeyConstraintError } = require('sequelize');

const { test, equal, rejects, run } = require('./report.js');

const { PGHOST, PGPORT, PGUSER, PGDATABASE } = process.env;
const sequelize = new Sequelize(PGDATABASE, PGUSER, null, {
  host: PGHOST, port: Number(PGPORT), dialect: 'postgres', logging: false, pool: { max: 4 },
});

const Shop = sequelize.define('Shop', {
  name: { type: DataTypes.STRING(40), allowNull: false, unique: true },
  opened: DataTypes.DATEONLY,
});
const Product = sequelize.define('Product', {
  id: { type: DataTypes.UUID, defaultValue: DataTypes.UUIDV4, primaryKey: true },
  name: { type: DataTypes.TEXT, allowNull: false },
  price: { type: DataTypes.DECIMAL(10, 2), defaultValue: 0 },
  size: DataTypes.ENUM('small', 'large'),
  tags: DataTypes.ARRAY(DataTypes.TEXT),
  extra: DataTypes.JSONB,
  cover: DataTypes.BLOB,
  seen: DataTypes.DATE,
}, { indexes: [{ fields: ['price', 'name'] }, { fields: ['size'], where: { price: { [Op.gt]: 10 } } }] });
Shop.hasMany(Product, { onDelete: 'CASCADE' });
Product.belongsTo(Shop);

test('the_schema_is_made', async () => {
  await sequelize.authenticate();
  await sequelize.sync({ force: true });
  equal((await sequelize.getQueryInterface().showAllTables()).sort(), ['Products', 'Shops']);
});

test('objects_are_stored_and_found', async () => {
  const seen = new Date('2024-05-06T07:08:09.010Z');
  const shop = await Shop.create({ name: 'north', opened: '2020-01-01' });
  equal(shop.id, 1);
  await Product.bulkCreate(Array.from({ length: 20 }, (_, n) => ({
    name: `product ${n}`, price: n * 1.5, size: n % 2 ? 'large' : 'small', tags: ['all', `t${n % 3}`],
    extra: { n, nested: { even: n % 2 === 0 } }, cover: Buffer.from([0, n]), seen, ShopId: shop.id,
  })));
  const found = await Product.findOne({ where: { name: 'product 3' }, include: Shop });
  equal([found.price, found.size, found.tags, found.extra, [...found.cover], found.seen, found.Shop.name],
    ['4.50', 'large', ['all', 't0'], { n: 3, nested: { even: false } }, [0, 3], seen, 'north']);
});

test('queries', async () => {
  equal(await Product.count({ where: { price: { [Op.between]: [3, 9] }, name: { [Op.iLike]: 'PRODUCT%' } } }), 5);
  equal(await Product.count({ where: { tags: { [Op.contains]: ['t1'] } } }), 7);
  equal(await Product.count({ where: { 'extra.nested.even': true } }), 10);
  equal(await Product.count({ where: { [Op.or]: [{ size: 'small' }, { extra: { [Op.contains]: { n: 5 } } }] } }), 11);
  const sums = await Product.findAll({
    attributes: ['size', [sequelize.fn('sum', sequelize.col('price')), 'sum']], group: 'size', order: ['size'], raw: true,
  });
  equal(sums, [{ size: 'small', sum: '135.00' }, { size: 'large', sum: '150.00' }]);
  const { count, rows } = await Product.findAndCountAll({ order: [['price', 'DESC']], limit: 2, offset: 1 });
  equal([count, rows.map((row) => row.name)], [20, ['product 18', 'product 17']]);
  const shops = await Shop.findAll({ include: { model: Product, where: { price: { [Op.gt]: 27 } } } });
  equal(shops[0].Products.length, 1);
  equal(await sequelize.query('SELECT $1::int + 1 AS n', { bind: [1], type: QueryTypes.SELECT }), [{ n: 2 }]);
});

test('updates_upserts_and_deletes', async () => {
  equal(await Product.update({ price: 1 }, { where: { price: 0 } }), [1]);
  const [, changed] = await Product.update({ size: 'large' }, { where: { name: 'product 2' }, returning: true });
  equal(changed[0].size, 'large');
  const [shop] = await Shop.upsert({ name: 'north', opened: '2021-01-01' }, { conflictFields: ['name'] });
  equal([shop.id, shop.opened], [1, '2021-01-01']);
  const [again, created] = await Shop.findOrCreate({ where: { name: 'south' } });
  equal([again.name, created], ['south', true]);
  await (await Product.findOne({ where: { name: 'product 1' } })).increment('price', { by: 2 });
  equal((await Product.findOne({ where: { name: 'product 1' } })).price, '3.50');
  equal(await Product.destroy({ where: { size: 'small' } }), 9);
});

test('errors_have_classes', async () => {
  const error = await Shop.create({ name: 'north' }).catch((caught) => caught);
  equal([error instanceof UniqueConstraintError, error.fields], [true, { name: 'north' }]);
  const foreign = await Product.create({ name: 'x', ShopId: 99 }).catch((caught) => caught);
  equal([foreign instanceof ForeignKeyConstraintError, foreign.index], [true, 'Products_ShopId_fkey']);
  await rejects('22P02', sequelize.query("SELECT 'x'::int"));
});

test('transactions', async () => {
  await sequelize.transaction(async (transaction) => {
    await Shop.create({ name: 'undone' }, { transaction });
    throw new Error('undo');
  }).catch(() => {});
  equal(await Shop.count({ where: { name: 'undone' } }), 0);
  await sequelize.transaction({ isolationLevel: 'REPEATABLE READ' }, async (transaction) => {
    await Shop.create({ name: 'kept' }, { transaction });
    equal(await Shop.count({ transaction }), 3);
  });
  equal(await Shop.count(), 3);
});

test('tables_are_described', async () => {
  const columns = await sequelize.getQueryInterface().describeTable('Products');
  equal([columns.id.type, columns.id.primaryKey, columns.price.type, columns.price.defaultValue, columns.size.special],
    ['UUID', true, 'NUMERIC', '0', ['small', 'large']]);
  const indexes = await sequelize.getQueryInterface().showIndex('Products');
  equal(indexes.map((index) => [index.name, index.primary, index.fields.map((field) => field.attribute)]).sort(),
    [['Products_pkey', true, ['id']], ['products_price_name', false, ['price', 'name']], ['products_size', false, ['size']]]);
  const keys = await sequelize.getQueryInterface().getForeignKeyReferencesForTable('Products');
  equal(keys.map((key) => [key.constraintName, key.columnName, key.referencedTableName, key.referencedColumnName]),
    [['Products_ShopId_fkey', 'ShopId', 'Shops', 'id']]);
});

test('tables_are_altered', async () => {
  const schema = sequelize.getQueryInterface();
  await schema.addColumn('Shops', 'city', { type: DataTypes.STRING, defaultValue: 'here' });
  await schema.changeColumn('Shops', 'city', { type: DataTypes.TEXT, allowNull: false, defaultValue: 'there' }, {});
  await schema.renameColumn('Shops', 'city', 'town', {});
  await schema.addIndex('Shops', ['town']);
  const { town } = await schema.describeTable('Shops');
  equal([town.type, town.allowNull, town.defaultValue], ['TEXT', false, 'there']);
  await schema.removeColumn('Shops', 'town');
  await sequelize.sync({ alter: true });
  await sequelize.drop({});
  equal(await schema.showAllTables(), []);
});

run('sequelize');
