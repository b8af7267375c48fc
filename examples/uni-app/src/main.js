import { createSSRApp } from 'vue';
import { configure } from 'wxgate-miniprogram';
import App from './App.vue';

export function createApp() {
  configure({
    baseUrl: import.meta.env.VITE_GATEWAY,
    api: { // one by one, because an H5 build has only the functions that the compiler sees here
      request: uni.request,
      login: uni.login,
      getStorageSync: uni.getStorageSync,
      setStorageSync: uni.setStorageSync,
      removeStorageSync: uni.removeStorageSync,
    },
  });
  return { app: createSSRApp(App) };
}
