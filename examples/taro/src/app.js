import Taro, { useLaunch } from '@tarojs/taro';
import { configure } from 'wxgate-miniprogram';

export default function App({ children }) {
  useLaunch(() => {
    configure({
      baseUrl: process.env.TARO_APP_GATEWAY,
      api: { // one by one, because an H5 build has only the functions that the compiler sees here
        request: Taro.request,
        login: Taro.login,
        getStorageSync: Taro.getStorageSync,
        setStorageSync: Taro.setStorageSync,
        removeStorageSync: Taro.removeStorageSync,
      },
    });
  });
  return children;
}
