module.exports = {
  projectName: 'wxgate-taro-example',
  designWidth: 750,
  deviceRatio: { 640: 1.17, 750: 1, 828: 0.905 },
  sourceRoot: 'src',
  outputRoot: `dist/${process.env.TARO_ENV}`,
  framework: 'react',
  plugins: ['@tarojs/plugin-framework-react'],
  compiler: 'webpack5',
  mini: {},
  h5: { publicPath: './', staticDirectory: 'static' },
};
